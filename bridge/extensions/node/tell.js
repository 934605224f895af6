// Errors of the extension, for the log: whatever was thrown, telling it throws nothing.
'use strict'

function tell(error) {
  try {
    console.error(error)
  } catch {
    // It has closed what it prints to, or it is one that cannot be shown.
  }
}

function textOf(error, member) {
  try {
    return String((error && error[member]) || error)
  } catch {
    return 'an error that has no text'
  }
}

module.exports = { tell, textOf }
