// Makes a failed edit case small enough to read: leaves out one thing after the other as long as the difference stays.

import type { EditCase, Mail } from './edit-scripts.ts'

/** `differ` says of each candidate whether it still shows the difference; all of a round are asked at once. */
export async function smallest(
  found: EditCase,
  differ: (candidates: readonly EditCase[]) => Promise<boolean[]>,
): Promise<EditCase> {
  let small = found
  for (;;) {
    const candidates = smaller(small)
    const which = (await differ(candidates)).indexOf(true)
    if (which === -1) return small
    small = candidates[which] as EditCase
  }
}

function smaller({ mail, scripts }: EditCase): EditCase[] {
  const without = <T>(list: readonly T[]): T[][] => list.map((_, at) => [...list.slice(0, at), ...list.slice(at + 1)])
  const halves = <T>(list: readonly T[]): T[][] =>
    list.length < 4 ? [] : [list.slice(0, list.length / 2), list.slice(list.length / 2)]
  const mails: Mail[] = [
    ...[...halves(mail.headers), ...without(mail.headers)].map(headers => ({ ...mail, headers })),
    ...(mail.to.length > 1 ? without(mail.to).map(to => ({ ...mail, to })) : []),
    ...(mail.body === '' ? [] : [{ ...mail, body: '' }]),
    ...(mail.from === 'a@example.com' ? [] : [{ ...mail, from: 'a@example.com' }]),
  ]
  return [
    ...scripts.flatMap((script, milter) =>
      [...halves(script), ...without(script)].map(less => ({ mail, scripts: scripts.with(milter, less) })),
    ),
    ...mails.map(less => ({ mail: less, scripts })),
  ]
}
