"""`make hostile`: what strangers send, against a gateway, while an honest client goes on."""
