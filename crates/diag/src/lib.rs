//! Codes, severities and findings, and nothing about how they are printed
