// The client connects to wss://relay.test/, port 443, and to nothing else: the chain knows relays by a name without a port. This is
// what an entry in the hosts file and a forwarded port would do. Certificates are checked as ever.

const tls = require('node:tls');

const connect = tls.connect;
tls.connect = (...args) => {
  const [options] = args;
  if (options?.host === 'relay.test') {
    const port = Number(process.env.RELAY_TLS_PORT);
    args[0] = { ...options, host: '127.0.0.1', port, servername: 'relay.test' };
  }
  return connect(...args);
};
