/**
 * Sockets that systemd, or the launcher on its behalf, has opened for this process: socket activation, as sd_listen_fds(3) says.
 *
 * They are numbered from 3 on. Node marks them as it starts, so no process that is started from here inherits them. What they are bound to is
 * read from the kernel's tables: Node tells it only of TCP. `cli/run.ts` asks once and hands them to the daemon.
 */
import { existsSync, readFileSync, readlinkSync } from 'node:fs'
import { SocketAddress } from 'node:net'
import { endianness } from 'node:os'
import { hostError } from '../host/errors.ts'

export interface InheritedSocket {
  readonly fd: number
  /** Of a UNIX socket; `null` for one of TCP. */
  readonly path: string | null
  /** Where an MTA finds it, as `listen` would be written; `null` when the kernel's tables have no such socket. */
  readonly address: string | null
}

type Environment = Readonly<Record<string, string | undefined>>

const FIRST = 3
/** A hundred is more than any unit has; a number out of a broken environment is not to be believed. */
const MOST = 100

/**
 * Empty when this process was not started for sockets. Throws a coded error for one that is none.
 * @param environment `process.env`
 */
export function inheritedSockets(environment: Environment, pid: number): readonly InheritedSocket[] {
  const { LISTEN_FDS, LISTEN_PID, MILTERHOST_LAUNCHER_FD } = environment
  // The launcher cannot know the number of a process that it has yet to start.
  const ours = LISTEN_PID === undefined ? MILTERHOST_LAUNCHER_FD !== undefined : LISTEN_PID === String(pid)
  const count = Number(LISTEN_FDS ?? 0)
  if (!ours || count === 0) return []
  if (!Number.isSafeInteger(count) || count < 0 || count > MOST)
    throw hostError('LISTEN_INHERITED', `LISTEN_FDS=${LISTEN_FDS}`, 'it is not a number of sockets')
  return Array.from({ length: count }, (_, index) => socketAt(FIRST + index))
}

function socketAt(fd: number): InheritedSocket {
  const inode = /^socket:\[(\d+)\]$/.exec(linkOf(fd))?.[1]
  if (inode === undefined) throw hostError('LISTEN_INHERITED', `file descriptor ${fd}`, 'it is no socket')
  for (const line of readFileSync('/proc/self/net/unix', 'latin1').split('\n').slice(1)) {
    // Num RefCount Protocol Flags Type St Inode Path
    const [, , , , , , number, path = ''] = line.trim().split(/\s+/)
    if (number !== inode) continue
    const name = Buffer.from(path, 'latin1').toString('utf8')
    return { fd, path: name, address: `unix:${name}` }
  }
  return { fd, path: null, address: tcpAddress(inode) }
}

function tcpAddress(inode: string): string | null {
  for (const table of ['tcp', 'tcp6']) {
    // Not there where the kernel has no IPv6.
    const path = `/proc/self/net/${table}`
    if (!existsSync(path)) continue
    for (const line of readFileSync(path, 'latin1').split('\n').slice(1)) {
      // sl local_address rem_address st queues tr:when retrnsmt uid timeout inode
      const [, local, , , , , , , , number] = line.trim().split(/\s+/)
      if (number === inode) return listenAddress(local!)
    }
  }
  return null
}

/** From 32-bit words in hexadecimal as they lie in the machine's memory, a colon, and the port in plain hexadecimal. */
function listenAddress(local: string): string {
  const [words, port] = local.split(':') as [string, string]
  const bytes = [...words.matchAll(/.{8}/g)].flatMap(([word]) => {
    const four = [...Buffer.from(word, 'hex')]
    return endianness() === 'LE' ? four.reverse() : four
  })
  const number = Number.parseInt(port, 16)
  if (bytes.length === 4) return `inet:${number}@${bytes.join('.')}`
  const groups = Array.from({ length: 8 }, (_, index) => (bytes[2 * index]! * 256 + bytes[2 * index + 1]!).toString(16))
  return `inet6:${number}@${new SocketAddress({ address: groups.join(':'), family: 'ipv6' }).address}`
}

function linkOf(fd: number): string {
  try {
    return readlinkSync(`/proc/self/fd/${fd}`)
  } catch (error) {
    throw hostError('LISTEN_INHERITED', `file descriptor ${fd}`, (error as Error).message)
  }
}
