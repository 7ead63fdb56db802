// The list of cases. The other modules in this directory add to it.
export const cases = [];

// check adds a case. Its walk gets a person, and a function that makes more people.
// Each has a browser profile of their own.
export function check(name, what, walk) {
  cases.push({ name, what, walk });
}

// checkSpecial adds a case that runs only in worlds whose plan names it.
export function checkSpecial(name, what, walk) {
  cases.push({ name, what, walk, special: true });
}
