"""What Memray lacks for a process whose environment does not contain it."""
