"""Parts of the pages: router, the Studio's handle, forms made from the plan's schema, live plot, looks and words."""
