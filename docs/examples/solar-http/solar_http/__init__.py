"""The task type ``http``; see :func:`solar_http.task.http`."""
