"""One process for each user: takes sessions, and answers what their pages ask for."""
