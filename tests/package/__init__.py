"""The product as its users get it: the wheel, the container, the files in deploy/."""
