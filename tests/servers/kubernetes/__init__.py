"""A real Kubernetes control plane as processes of this machine: where its programs come from and how it runs."""
