"""What phones fetch, and the directories and ports from which they fetch it."""
