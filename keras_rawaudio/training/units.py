"""The units of the measures, in words."""

UNITS = {
    "bits_per_sample": "bits per sample",
    "bits_per_code": "bits per code",
    "variance_unexplained": "of variance unexplained",
}
SHORT_UNITS = {
    "bits_per_sample": "bits",
    "bits_per_code": "bits",
    "variance_unexplained": "unexplained",
}
