#!/bin/bash
# Starts broker number $NODE; formats its storage at the first start.
set -eu
sed "s/@NODE@/$NODE/g" /etc/ordersync/server.properties >/tmp/server.properties
/opt/kafka/bin/kafka-storage.sh format --ignore-formatted --cluster-id "$CLUSTER_ID" --config /tmp/server.properties
exec /opt/kafka/bin/kafka-server-start.sh /tmp/server.properties
