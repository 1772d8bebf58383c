"""The main job on real servers: three kube-apiservers with their members, BIND primary and secondary."""
