// The texts of /reset in English.
export default {
  "reset.invalid_title": "This link does not work any more",
  "reset.invalid": "It has been used, has expired, or was replaced by a newer mail. Enter the address of your account to receive another one.",
  "reset.sent": "If there is an account with the address {email}, a mail with a link is on its way. The link works for one hour.",
};
