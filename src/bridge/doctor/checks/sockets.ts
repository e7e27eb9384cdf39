/**
 * Checks of the sockets that milterhost listens on: served, reachable for the MTA's user, and for nobody else.
 */
import { dirname } from 'node:path'
import { foldersAbove, type Obstacle, obstacle, octal } from '../access.ts'
import type { Check, Found } from '../finding.ts'
import type { Machine, User } from '../machine.ts'
import { addressKey, distinct, isAnyHost, isLoopback, type Listener, ours, type Reach, type Site } from '../site.ts'
import { forPostfix } from './chain.ts'

const met =
  (...kinds: Reach['kind'][]) =>
  (site: Site): Listener[] =>
    site.listeners.filter(({ address }) => kinds.includes(site.reach.get(addressKey(address))?.kind ?? 'failed'))

const unixListeners = ({ listeners }: Site): { listener: Listener; path: string }[] =>
  listeners.flatMap(listener => (listener.address.kind === 'unix' ? [{ listener, path: listener.address.path }] : []))

const hasUnix = (site: Site): boolean => unixListeners(site).length > 0

/** Where Postfix would find a socket through its chroot. */
const inQueue = ({ postfix }: Site): string =>
  `unix:${postfix?.value('queue_directory') ?? '/var/spool/postfix'}/milterhost/milterhost.sock`

export const socketChecks: readonly Check[] = [
  {
    code: 'SOCKET_ABSENT',
    severity: 'wrong',
    title: 'milterhost runs',
    find: site => {
      const dead = met('absent', 'failed')(site)
      const refused = met('refused')(site).filter(({ address }) => address.kind === 'inet')
      return [...dead, ...refused].map(({ written }) => ({
        what: `nobody listens on ${written}: milterhost does not run, or runs with another configuration`,
        where: `${site.file}: listen`,
        write: 'systemctl start milterhost, or milterhost run',
      }))
    },
  },
  {
    code: 'SOCKET_STALE',
    severity: 'wrong',
    title: 'No socket is left of a process that ended',
    applies: hasUnix,
    find: site =>
      met('refused')(site).flatMap(({ address }) =>
        address.kind === 'unix'
          ? [
              {
                what: `${address.path} is there and nobody has it open: what served it has ended without removing it`,
                where: address.path,
                write: 'systemctl start milterhost, or milterhost run: it clears the place',
              },
            ]
          : [],
      ),
  },
  {
    code: 'SOCKET_SILENT',
    severity: 'wrong',
    title: 'Who listens there speaks the milter protocol',
    find: site =>
      met('silent')(site).map(({ written, address }) => ({
        what: `somebody listens on ${written} and does not negotiate: ${site.reach.get(addressKey(address))?.detail}`,
        where: `${site.file}: listen`,
        write: `listen: an address of its own; who has it: ss -lpn | grep ${address.kind === 'unix' ? address.path : address.port}`,
      })),
  },
  {
    code: 'SOCKET_CHROOT',
    severity: 'wrong',
    title: 'A chrooted Postfix finds the socket',
    applies: site => site.postfix !== null,
    find: site =>
      distinct(
        site.attachments.flatMap(({ milters }) =>
          milters.flatMap((milter): Found[] => {
            if (!milter.chrooted || milter.address?.kind !== 'unix') return []
            if (site.machine.path(milter.address.path) !== null) return []
            const listener = unixListeners(site).find(({ path }) => milter.written.endsWith(`:${path}`))?.listener
            const inside = listener !== undefined && forPostfix(site, listener)
            const queue = `${site.postfix!.value('queue_directory')}/`
            const reachable = listener?.address.kind === 'unix' && listener.address.path.startsWith(queue)
            return [
              {
                what: `Postfix runs in a chroot, where ${milter.written} is ${milter.address.path}, which is not there`,
                where: milter.where,
                write: reachable
                  ? `smtpd_milters = ${inside}`
                  : `listen: '${inQueue(site)}' and smtpd_milters = unix:milterhost/milterhost.sock`,
              },
            ]
          }),
        ),
      ),
  },
  {
    code: 'SOCKET_DENIED',
    severity: 'wrong',
    title: "The MTA's user may connect",
    applies: hasUnix,
    find: site =>
      distinct(
        ours(site).flatMap(({ attachment, listener }) => {
          if (listener.address.kind !== 'unix') return []
          const user = site.machine.user(attachment.user)
          const found = user === null ? null : obstacle(site.machine, user, listener.address.path)
          if (user === null || found === null) return []
          return [
            {
              what: `${user.name} cannot ${found.lacks === 'x' ? 'pass through' : 'write to'} ${rights(site.machine, found)}`,
              where: found.path,
              write: remedy(found, user, listener, site.machine),
            },
          ]
        }),
      ),
  },
  {
    code: 'SOCKET_OPEN',
    severity: 'better',
    title: 'Only the MTA may connect',
    applies: hasUnix,
    find: site =>
      unixListeners(site).flatMap(({ path, listener }) => {
        const facts = site.machine.path(path)
        const passable = foldersAbove(path).every(folder => ((site.machine.path(folder)?.mode ?? 0) & 1) !== 0)
        if (facts === null || (facts.mode & 2) === 0 || !passable) return []
        return [
          {
            what: `any user of this machine may connect to ${path} (mode ${octal(facts.mode)}) and have messages judged`,
            where: path,
            write: `listen: { address: '${listener.written}', mode: '660', group: 'postfix' }`,
          },
        ]
      }),
  },
  {
    code: 'SOCKET_TMP',
    severity: 'better',
    title: 'The socket is not in a folder for temporary files',
    applies: hasUnix,
    find: site =>
      unixListeners(site)
        .filter(({ path }) => /^\/(tmp|var\/tmp|dev\/shm)\/[^/]+$/.test(path))
        .map(({ path }) => ({
          what: `${path} lies where anyone may put another in its place, and where a service with PrivateTmp= does not see it`,
          where: `${site.file}: listen`,
          write: "listen: 'unix:/run/milterhost/milterhost.sock'",
        })),
  },
  {
    code: 'SOCKET_PUBLIC',
    severity: 'wrong',
    title: 'The network cannot connect',
    applies: ({ listeners }) => listeners.some(({ address }) => address.kind === 'inet'),
    find: site =>
      site.listeners.flatMap(({ address, written }) => {
        if (address.kind === 'unix' || isLoopback(address.host)) return []
        const here = site.attachments.length > 0
        if (!here && !isAnyHost(address.host)) return []
        return [
          {
            what: `${written} can be reached from the network, and the protocol knows no password: whoever connects has messages judged and learns of users`,
            where: `${site.file}: listen`,
            write: here
              ? `listen: 'inet:${address.port}@127.0.0.1'`
              : `listen: 'inet:${address.port}@' and the address that only the MTA reaches`,
          },
        ]
      }),
  },
]

const rights = (machine: Machine, { path, facts }: Obstacle): string =>
  `${path} (mode ${octal(facts.mode)}, owner ${facts.uid}, group ${machine.groupName(facts.gid)})`

function remedy(found: Obstacle, user: User, { written, address }: Listener, machine: Machine): string {
  const group = machine.groupName(user.groups[0] ?? 0)
  if (found.lacks === 'w') return `listen: { address: '${written}', mode: '660', group: '${group}' }`
  const own = address.kind === 'unix' && found.path === dirname(address.path)
  return own ? `chgrp ${group} ${found.path} && chmod g+x ${found.path}` : `chmod a+x ${found.path}`
}
