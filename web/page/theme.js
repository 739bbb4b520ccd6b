/** The theme before the first paint, and the button that changes it: the system's, light, dark. */
{
  const themes = ['system', 'light', 'dark']
  const root = document.documentElement
  const stored = () => {
    try {
      return localStorage.getItem('theme')
    } catch {
      // No storage for us: the system's, then.
      return null
    }
  }
  const show = (theme) => {
    if (theme === 'system') delete root.dataset.theme
    else root.dataset.theme = theme
    const button = document.getElementById('theme')
    if (!button) return
    button.dataset.shown = theme
    const next = themes[(themes.indexOf(theme) + 1) % themes.length]
    button.setAttribute('aria-label', `Theme: ${theme}. Change to ${next}`)
    button.title = `Theme: ${theme}`
  }
  let theme = themes.includes(stored()) ? stored() : 'system'
  show(theme)
  addEventListener('DOMContentLoaded', () => {
    show(theme)
    document.getElementById('theme').addEventListener('click', () => {
      theme = themes[(themes.indexOf(theme) + 1) % themes.length]
      try {
        localStorage.setItem('theme', theme)
      } catch {
        // It holds for this page alone.
      }
      show(theme)
      dispatchEvent(new Event('themechange'))
    })
  })
}
