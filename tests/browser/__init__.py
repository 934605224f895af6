"""Tests with a real front end: cockpit-ws, and a browser that shows its pages."""
