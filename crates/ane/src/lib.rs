//! What is known of the Apple Neural Engine: families, devices, limits, capability tables
