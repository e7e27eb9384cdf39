/**
 * Who may reach a UNIX socket: every folder above it must be passable, and the socket writable.
 *
 * Computed from modes and groups, as the kernel does, because the doctor is not the user it asks about. ACLs and security
 * modules are not looked at.
 */
import { dirname } from 'node:path'
import type { Machine, PathFacts, User } from './machine.ts'

export interface Obstacle {
  readonly path: string
  readonly facts: PathFacts
  /** What is lacking: passing through a folder, or writing to the socket. */
  readonly lacks: 'x' | 'w'
}

/** The folders above a path, from the root down. */
export function foldersAbove(path: string): string[] {
  const folders: string[] = []
  for (let folder = dirname(path); ; folder = dirname(folder)) {
    folders.unshift(folder)
    if (folder === dirname(folder)) return folders
  }
}

/** The first thing that keeps a user from a socket; `null` when nothing does, or when it is not there. */
export function obstacle(machine: Machine, user: User, socket: string): Obstacle | null {
  if (user.uid === 0) return null
  const path = machine.real(socket) ?? socket
  for (const folder of foldersAbove(path)) {
    const facts = machine.path(folder)
    if (facts !== null && !may(user, facts, 1)) return { path: folder, facts, lacks: 'x' }
  }
  const facts = machine.path(path)
  return facts !== null && !may(user, facts, 2) ? { path, facts, lacks: 'w' } : null
}

/** The class that applies decides alone: an owner without a right is not helped by the group's. */
function may(user: User, { uid, gid, mode }: PathFacts, bit: 1 | 2): boolean {
  const shift = uid === user.uid ? 6 : user.groups.includes(gid) ? 3 : 0
  return ((mode >> shift) & bit) !== 0
}

export const octal = (mode: number): string => `0${(mode & 0o777).toString(8).padStart(3, '0')}`
