"""What the stages need from the outside world, in their own words. Adapters fulfil these; `app.py` joins them."""
