"""What tests need beside the program: servers, factories, the outside world."""
