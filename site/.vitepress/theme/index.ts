/** The default theme, with the fonts of the reader's system; the home page shows how to begin beside its first words. */
import DefaultTheme from 'vitepress/theme-without-fonts'
import { h } from 'vue'
import Start from '../../start.md'
import '../../.pages/picture.css'
import './style.css'

export default {
  extends: DefaultTheme,
  Layout: () =>
    h(DefaultTheme.Layout, null, { 'home-hero-image': () => h('div', { class: 'vp-doc start' }, h(Start)) }),
}
