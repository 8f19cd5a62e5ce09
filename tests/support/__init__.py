"""What tests share: small specs, runs, files and oracles."""
