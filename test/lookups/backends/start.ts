/** The real backends of look-ups: PostgreSQL, MariaDB, OpenLDAP, Redis, each in a folder and on ports of its own. */
import { execFileSync } from 'node:child_process'
import { chmodSync, chownSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { join } from 'node:path'
import mysql from 'mysql2/promise'
import pg from 'pg'
import { freePort, tempDir } from '../../interop/harness/places.ts'
import { run } from '../../interop/harness/rig.ts'
import { RealServer } from './server.ts'

export interface Backend {
  readonly server: RealServer
  readonly url: string
}

function userOf(name: string): { readonly uid: number; readonly gid: number } {
  const line = readFileSync('/etc/passwd', 'utf8')
    .split('\n')
    .find(entry => entry.startsWith(`${name}:`))
  if (line === undefined) throw new Error(`there is no user ${name}`)
  const [, , uid, gid] = line.split(':')
  return { uid: Number(uid), gid: Number(gid) }
}

/** `postgres://postgres@127.0.0.1:port/postgres`; needs root, to become another user. */
export async function startPostgres(): Promise<Backend> {
  const bin = '/usr/lib/postgresql/15/bin'
  const dir = tempDir('postgres')
  const data = join(dir, 'data')
  const user = userOf('postgres')
  mkdirSync(data)
  for (const path of [dir, data]) chownSync(path, user.uid, user.gid)
  chmodSync(data, 0o700)
  execFileSync(
    `${bin}/initdb`,
    ['-D', data, '-U', 'postgres', '--no-sync', '-A', 'trust', '-E', 'UTF8', '--locale=C'],
    { ...user, cwd: '/', stdio: 'pipe' },
  )
  // A user who must know a password, for what is said when it is wrong.
  writeFileSync(
    join(data, 'pg_hba.conf'),
    'host all mail 127.0.0.1/32 scram-sha-256\nhost all all 127.0.0.1/32 trust\n',
  )
  const port = await freePort()
  const url = `postgres://postgres@127.0.0.1:${port}/postgres`
  const settings = [
    'fsync=off',
    'listen_addresses=127.0.0.1',
    `port=${port}`,
    `unix_socket_directories=${dir}`,
    'max_connections=30',
  ]
  const server = new RealServer({
    program: `${bin}/postgres`,
    args: ['-D', data, ...settings.flatMap(setting => ['-c', setting])],
    user,
    ready: () => withPostgres(url, client => client.query('SELECT 1')),
  })
  await server.start()
  return { server, url }
}

export async function withPostgres<R>(url: string, use: (client: pg.Client) => Promise<R>): Promise<R> {
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 1000 })
  client.on('error', () => {})
  try {
    await client.connect()
    return await use(client)
  } finally {
    await client.end().catch(() => {})
  }
}

/** `mysql://root@127.0.0.1:port/mail`. */
export async function startMariadb(): Promise<Backend> {
  const dir = tempDir('mariadb')
  const data = join(dir, 'data')
  execFileSync(
    '/usr/bin/mariadb-install-db',
    ['--no-defaults', `--datadir=${data}`, '--auth-root-authentication-method=normal', '--skip-test-db', '--user=root'],
    { stdio: 'pipe' },
  )
  const port = await freePort()
  const root = `mysql://root@127.0.0.1:${port}/`
  const server = new RealServer({
    program: '/usr/sbin/mariadbd',
    args: [
      '--no-defaults',
      `--datadir=${data}`,
      `--port=${port}`,
      '--bind-address=127.0.0.1',
      `--socket=${dir}/sock`,
      `--pid-file=${dir}/pid`,
      '--user=root',
      '--innodb-flush-log-at-trx-commit=0',
      '--innodb-buffer-pool-size=32M',
      '--skip-name-resolve',
    ],
    ready: () =>
      withMysql(root, connection => connection.query('CREATE DATABASE IF NOT EXISTS mail CHARACTER SET utf8mb4')),
  })
  await server.start()
  return { server, url: `${root}mail` }
}

export async function withMysql<R>(url: string, use: (connection: mysql.Connection) => Promise<R>): Promise<R> {
  const connection = await mysql.createConnection({ uri: url, connectTimeout: 1000 })
  try {
    return await use(connection)
  } finally {
    connection.destroy()
  }
}

/** `redis://127.0.0.1:port`. */
export async function startRedis(): Promise<Backend> {
  const dir = tempDir('redis')
  const port = await freePort()
  const server = new RealServer({
    program: '/usr/bin/redis-server',
    args: ['--port', String(port), '--bind', '127.0.0.1', '--dir', dir, '--appendonly', 'yes', '--save', ''],
    ready: () => greets(port),
  })
  await server.start()
  return { server, url: `redis://127.0.0.1:${port}` }
}

function greets(port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = connect({ port, host: '127.0.0.1' })
    socket.once('error', reject).once('data', data => {
      socket.destroy()
      return String(data).startsWith('+PONG') ? resolve() : reject(new Error(String(data)))
    })
    socket.write('PING\r\n')
  })
}

export interface Directory extends Backend {
  readonly ldaps: string
  /** Of the authority that signed the server's certificate. */
  readonly ca: string
  readonly base: string
  readonly bind: { readonly dn: string; readonly password: string }
}

/** `entries`: LDIF of what lies under `ou=people,dc=example,dc=org`; only who binds may read it. */
export async function startSlapd(entries: string): Promise<Directory> {
  const dir = tempDir('slapd')
  const data = join(dir, 'data')
  mkdirSync(data)
  const ca = await certificates(dir)
  const [port, tlsPort] = [await freePort(), await freePort()]
  writeFileSync(
    join(dir, 'slapd.conf'),
    `include /etc/ldap/schema/core.schema
include /etc/ldap/schema/cosine.schema
include /etc/ldap/schema/inetorgperson.schema
modulepath /usr/lib/ldap
moduleload back_mdb
TLSCACertificateFile ${dir}/ca.pem
TLSCertificateFile ${dir}/server.pem
TLSCertificateKeyFile ${dir}/server.key
threads 2
database mdb
suffix "dc=example,dc=org"
rootdn "cn=admin,dc=example,dc=org"
rootpw secret
directory ${data}
maxsize 268435456
dbnosync
index objectClass,mail eq
access to * by users read by anonymous auth
`,
  )
  writeFileSync(
    join(dir, 'data.ldif'),
    `dn: dc=example,dc=org
objectClass: dcObject
objectClass: organization
o: Example
dc: example

dn: ou=people,dc=example,dc=org
objectClass: organizationalUnit
ou: people

${entries}`,
  )
  await run('/usr/sbin/slapadd', ['-q', '-f', join(dir, 'slapd.conf'), '-l', join(dir, 'data.ldif')])
  const [url, ldaps] = [`ldap://127.0.0.1:${port}`, `ldaps://127.0.0.1:${tlsPort}`]
  const server = new RealServer({
    program: '/usr/sbin/slapd',
    args: ['-f', join(dir, 'slapd.conf'), '-h', `${url}/ ${ldaps}/`, '-d', '0'],
    ready: () => accepts(tlsPort),
  })
  await server.start()
  const bind = { dn: 'cn=admin,dc=example,dc=org', password: 'secret' }
  return { server, url, ldaps, ca, base: 'ou=people,dc=example,dc=org', bind }
}

function accepts(port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = connect({ port, host: '127.0.0.1' })
    socket.once('error', reject).once('connect', () => {
      socket.destroy()
      resolve()
    })
  })
}

async function certificates(dir: string): Promise<string> {
  const openssl = (...args: string[]): Promise<string> => run('/usr/bin/openssl', args)
  const at = (name: string): string => join(dir, name)
  await openssl(
    'req',
    '-x509',
    '-newkey',
    'rsa:2048',
    '-nodes',
    '-keyout',
    at('ca.key'),
    '-out',
    at('ca.pem'),
    '-subj',
    '/CN=test ca',
    '-days',
    '2',
  )
  await openssl(
    'req',
    '-newkey',
    'rsa:2048',
    '-nodes',
    '-keyout',
    at('server.key'),
    '-out',
    at('server.csr'),
    '-subj',
    '/CN=localhost',
  )
  writeFileSync(at('extensions'), 'subjectAltName=DNS:localhost,IP:127.0.0.1\n')
  await openssl(
    'x509',
    '-req',
    '-in',
    at('server.csr'),
    '-CA',
    at('ca.pem'),
    '-CAkey',
    at('ca.key'),
    '-CAcreateserial',
    '-out',
    at('server.pem'),
    '-days',
    '2',
    '-extfile',
    at('extensions'),
  )
  return readFileSync(at('ca.pem'), 'utf8')
}
