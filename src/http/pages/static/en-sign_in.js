// The texts of / in English.
export default {
  "return.to": "You will go back to {host} afterwards.",

  "code.sent": "If there is an account with the address {email}, a mail with a code is on its way. The code works for 10 minutes. If no mail comes, look in the spam folder too.",
  "code.again_sent": "Another code is on its way. The earlier code no longer works.",

  "field.login.missing": "Enter your username or e-mail address.",
  "field.password.missing": "Enter your password.",
  "here.auth.user_suspended": "What you entered is right, but this account is suspended. Ask the operator of this server why.",
};
