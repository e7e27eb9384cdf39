/**
 * Looks at the site as it was written: every link leads to a page and a heading that are there, and nothing is fetched from elsewhere.
 *
 * VitePress itself finds pages that are missing, but no headings.
 */
import { globSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

/** @returns what is wrong, a line each */
export function faults(dist: string): string[] {
  const files = globSync('**/*.html', { cwd: dist })
  const pages = new Map(files.map(file => [`/${file}`, readFileSync(join(dist, file), 'utf8')]))
  const anchors = new Map(
    [...pages].map(([path, html]) => [path, new Set([...html.matchAll(/ id="([^"]+)"/g)].map(match => match[1]!))]),
  )
  return [...pages].flatMap(([path, html]) => [...deadLinks(path, html, anchors), ...fetched(path, html)])
}

function deadLinks(path: string, html: string, anchors: ReadonlyMap<string, ReadonlySet<string>>): string[] {
  const links = [...html.matchAll(/<a\b[^>]* href="([^"]+)"/g)].map(match => match[1]!)
  return [...new Set(links)]
    .filter(link => !/^(https?|mailto):/.test(link))
    .flatMap(link => {
      const { pathname, hash } = new URL(link, `http://site${path}`)
      const target = anchors.get(pathname.endsWith('/') ? `${pathname}index.html` : pathname)
      if (target === undefined) return [`${path}: ${link} leads nowhere`]
      if (hash !== '' && !target.has(decodeURIComponent(hash.slice(1)))) return [`${path}: ${link} names no heading`]
      return []
    })
}

/** What a browser loads without being asked. */
const fetched = (path: string, html: string): string[] =>
  [...html.matchAll(/<(?:script|img|link|iframe)\b[^>]* (?:src|href)="((?:https?:)?\/\/[^"]+)"/g)].map(
    match => `${path}: ${match[1]} is fetched from elsewhere`,
  )
