"""What ``setup`` does on the remote host: a key made here is authorized there."""
