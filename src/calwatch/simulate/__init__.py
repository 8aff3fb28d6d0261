"""An honest camera simulator with known truth, and the Butler repository around it."""
