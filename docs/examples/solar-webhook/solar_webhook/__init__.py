"""Tells a URL of each plan that has ended; see :func:`solar_webhook.hook.system_log_hook`."""
