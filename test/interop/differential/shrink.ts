// Makes a case that failed small enough to read: leaves out one thing after the other as long as the difference stays.

import type { EditCase, Mail } from './edit-scripts.ts'

/** `differ` says of each candidate whether it still shows the difference; all of a round are asked at once. */
export async function smallest<Case>(
  found: Case,
  smaller: (found: Case) => Case[],
  differ: (candidates: readonly Case[]) => Promise<boolean[]>,
): Promise<Case> {
  let small = found
  for (;;) {
    const candidates = smaller(small)
    const which = candidates.length === 0 ? -1 : (await differ(candidates)).indexOf(true)
    if (which === -1) return small
    small = candidates[which] as Case
  }
}

export function smallerCases({ mail, scripts }: EditCase): EditCase[] {
  return [
    ...scripts.flatMap((script, milter) =>
      parts(script).map(less => ({ mail, scripts: scripts.with(milter, [...less]) })),
    ),
    ...smallerMails(mail).map(less => ({ mail: less, scripts })),
  ]
}

export function smallerMails(mail: Mail): Mail[] {
  return [
    ...parts(mail.headers).map(headers => ({ ...mail, headers })),
    ...(mail.to.length > 1 ? parts(mail.to).map(to => ({ ...mail, to })) : []),
    ...(mail.body === '' ? [] : [{ ...mail, body: '' }]),
    ...(mail.from === 'a@example.com' ? [] : [{ ...mail, from: 'a@example.com' }]),
  ]
}

/** The list without one half, and without each one. */
export function parts<T>(list: readonly T[]): T[][] {
  const half = Math.floor(list.length / 2)
  return [
    ...(list.length < 4 ? [] : [list.slice(0, half), list.slice(half)]),
    ...list.map((_, at) => [...list.slice(0, at), ...list.slice(at + 1)]),
  ]
}
