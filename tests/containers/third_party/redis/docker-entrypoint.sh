#!/bin/sh
# As that of the real image: options alone are for redis-server, which root starts as the user redis.
set -e
case ${1:-} in
  -* | *.conf) set -- redis-server "$@" ;;
esac
# The real one is built without protected mode: without a password others than loopback may connect, too.
if [ "$1" = redis-server ]; then
  set -- "$@" --protected-mode no
fi
if [ "$1" = redis-server ] && [ "$(id -u)" = 0 ]; then
  find . \! -user redis -exec chown redis '{}' +
  exec setpriv --reuid=redis --regid=redis --clear-groups -- "$@"
fi
exec "$@"
