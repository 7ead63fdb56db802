// The cases: each module beside this one adds some.
export const cases = [];

// check adds a case. Its walk gets a person, and a function that makes more of
// them, each with a browser profile of their own.
export function check(name, what, walk) {
  cases.push({ name, what, walk });
}

// checkSpecial adds a case for those worlds alone whose plan names it.
export function checkSpecial(name, what, walk) {
  cases.push({ name, what, walk, special: true });
}
