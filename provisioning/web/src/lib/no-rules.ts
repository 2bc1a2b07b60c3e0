/** Stands for `async-validator`, which Element Plus' form items import: no form of these pages has rules, so nothing is ever to be checked. */
export default class NoRules {
  validate(): Promise<void> {
    return Promise.resolve();
  }
}
