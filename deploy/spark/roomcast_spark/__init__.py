"""Roomcast's training on Apache Spark: the steps of `roomcast worker`, each on as many machines as it needs."""
