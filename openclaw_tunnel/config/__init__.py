"""What the user wants: settings files, ssh_config, the resolved tunnel."""
