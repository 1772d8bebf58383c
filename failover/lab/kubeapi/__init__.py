"""The part of the Kubernetes API that this project uses, served over HTTPS on loopback by the lab's regions.

Lives here: objects with resourceVersions, REST verbs, watches, server-side apply, RBAC-like denials, kubelets.
May not live here: anything of the controller; the lab's clusters know only what HTTP tells them.
"""
