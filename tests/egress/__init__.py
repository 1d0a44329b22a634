"""The egress guard (D4, S10, V02, V03): what is judged, what is connected to, and that there is no other way out."""
