// For the commands beside it. Plain JavaScript that an old Node can read too: it says what it needs before anything newer is loaded.
import { existsSync } from 'node:fs'

/** For the Node of the daemon: what large messages leave behind goes in short collections then, and never waits for the long ones. */
export const YOUNG = '--max-semi-space-size'

const major = Number(process.versions.node.split('.')[0])
if (major < 24) {
  console.error(`milterhost needs Node 24 or newer; this is Node ${process.versions.node} (${process.execPath}).`)
  process.exit(2)
}

/** The source is there in a checkout only, where it is newer than what was built of it. */
export const load = (source, built) => {
  const url = new URL(`../${source}`, import.meta.url)
  return import(existsSync(url) ? url.href : new URL(`../${built}`, import.meta.url).href)
}
