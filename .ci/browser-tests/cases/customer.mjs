// Users who type an e-mail address, and log in at their organization's provider.
import assert from 'node:assert/strict';
import { checkSpecial } from './check.mjs';

const report = '/private/report?part=2';
const address = 'Grace.Hopper@acme.example';

async function types(page, text, label = 'E-mail address or organization', button = 'Continue') {
  await page.getByLabel(label).fill(text);
  await page.getByRole('button', { name: button }).click();
}

// typedNowhere requires that no URL of the application has the address.
function typedNowhere(ada) {
  for (const url of ada.visited.filter((url) => url.startsWith(ada.world.app))) {
    assert.ok(!/hopper/i.test(decodeURIComponent(url)), url);
  }
}

// isHinted requires that the provider was told the address.
async function isHinted(ada, page) {
  await ada.isAsked(page);
  const url = new URL(ada.visited.findLast((url) => url.includes('/authorize')));
  assert.equal(url.searchParams.get('login_hint'), address);
}

checkSpecial('customer by address', 'asks who the user is, again if it is unknown, and leads to the provider and back, also without scripts', async (ada, makePerson) => {
  for (const person of [ada, await makePerson({ runsScripts: false })]) {
    const page = await person.tab(report);
    await person.reads(page, 'Log in');
    const field = page.getByLabel('E-mail address or organization');
    assert.ok(await field.evaluate((input) => input === document.activeElement).catch(() => true)); // needs no click
    await types(page, 'hopper@nowhere.example');
    await page.getByText('There is no login for this e-mail address or organization.').waitFor();
    assert.equal(await field.inputValue(), 'hopper@nowhere.example');
    assert.equal(await person.attempts(), 0);
    await types(page, address);
    await isHinted(person, page);
    await person.sayWho(page);
    await person.arrivesAt(page, report);
    await person.reads(page, 'Grace Hopper');
    typedNowhere(person);
    await page.goBack(); // over the provider's page, to one of ours
    await person.open(page, report);
    await person.reads(page, 'Grace Hopper');
  }
});

checkSpecial('customer, listed provider', 'lists other providers below the field', async (ada) => {
  const page = await ada.tab(report);
  await page.getByRole('link', { name: 'Müller' }).click();
  await ada.sayWho(page);
  await ada.arrivesAt(page, report);
});

checkSpecial('customer, own sign-in page', 'takes the form of a page with form-action self', async (ada) => {
  const page = await ada.tab(report);
  await ada.reads(page, 'Sign in');
  await types(page, 'hopper@nowhere.example', 'Work e-mail', 'Next');
  await page.getByText('There is no login for this e-mail address or organization.').waitFor();
  await page.goBack();
  await types(page, address, 'Work e-mail', 'Next');
  await isHinted(ada, page);
  await ada.sayWho(page);
  await ada.arrivesAt(page, report);
  typedNowhere(ada);
});

checkSpecial('customer by link', 'answers everybody alike, and the link works in another browser', async (ada, makePerson) => {
  const page = await ada.tab(report);
  const answers = [];
  for (const typed of ['hopper@nowhere.example', address]) {
    await ada.open(page, report);
    await types(page, typed, 'E-mail address');
    await ada.reads(page, 'Check your e-mail');
    answers.push(await page.content());
  }
  assert.equal(answers[0], answers[1]);
  await types(await ada.tab(report), 'Acme', 'E-mail address');
  assert.equal(await ada.attempts(), 0);
  const grace = await makePerson();
  const mail = await grace.tab('/mail');
  while (!(await mail.getByRole('link', { name: 'Your link' }).count())) await mail.reload();
  await mail.getByRole('link', { name: 'Your link' }).click();
  await isHinted(grace, mail);
  await grace.sayWho(mail);
  await grace.arrivesAt(mail, report);
  typedNowhere(ada);
  typedNowhere(grace);
});
