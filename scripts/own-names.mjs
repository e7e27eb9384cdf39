// For programs of the checkout that Node runs from their sources: what plugins import as milterhost is src/, nothing is built.
//   node --import ./scripts/own-names.mjs PROGRAM     or, before the first import() of such a module: import '…/own-names.mjs'
import { registerHooks } from 'node:module'

registerHooks({
  resolve(specifier, context, next) {
    const own = /^milterhost(?:\/(\w+))?$/.exec(specifier)
    if (own === null) return next(specifier, context)
    return { url: new URL(`../src/${own[1] ?? 'index'}.ts`, import.meta.url).href, shortCircuit: true }
  },
})
