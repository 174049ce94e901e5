"""Loopback servers, programs and fixtures for tests."""
