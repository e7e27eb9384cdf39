/**
 * What a reader's browser knows of the page that it shows. Runs in the page, for `browser.ts`; its value is what it found.
 */
;(() => {
  const width = document.documentElement.clientWidth
  const standsOut = element => element.getBoundingClientRect().right > width + 0.5
  const isWide = document.documentElement.scrollWidth > width
  // What is in one of these stands out as well.
  const outermost = [...document.querySelectorAll('body *')].filter(
    element => isWide && standsOut(element) && !standsOut(element.parentElement),
  )
  const anchors = [...document.querySelectorAll('a[href*="#"]')]
    .filter(link => link.origin === location.origin && link.pathname === location.pathname)
    .map(link => decodeURIComponent(link.hash.slice(1)))
  return {
    title: document.title,
    description: document.querySelector('meta[name="description"]')?.content ?? '',
    language: document.documentElement.lang,
    headings: [...document.querySelectorAll('h1')].map(heading => heading.textContent.trim()),
    isWide,
    standingOut: outermost.slice(0, 3).map(({ tagName, className }) => `${tagName.toLowerCase()}.${className}`),
    deadAnchors: [...new Set(anchors)].filter(name => name !== '' && document.getElementById(name) === null),
  }
})()
