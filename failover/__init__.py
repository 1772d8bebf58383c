"""failover: disaster recovery and failover for fleets of Kubernetes clusters."""
