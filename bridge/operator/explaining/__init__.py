"""What `spanbridge explain` decides (`explanation`) and how it says so (`explain_text`)."""
