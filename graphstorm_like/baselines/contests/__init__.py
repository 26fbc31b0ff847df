"""Which simple models a task is compared with, found by the class of the task."""
