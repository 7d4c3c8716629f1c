#!/usr/bin/env bash
# Starts MongoDB as a replica set whose members know each other by a key. A set with passwords needs one, also a set of one.
set -euo pipefail
# mongod refuses a key that others could read, and a mounted secret has no owner of its own.
install --mode 400 --owner mongodb --group mongodb /run/secrets/mongo_key /data/replica-set.key
exec docker-entrypoint.sh mongod --replSet rs0 --bind_ip_all --keyFile /data/replica-set.key
