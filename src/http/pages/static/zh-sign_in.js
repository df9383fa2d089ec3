// The texts of / in Chinese.
export default {
  "return.to": "登录后将返回 {host}。",

  "code.sent": "如果 {email} 已注册账号，您将收到一封带有验证码的邮件。验证码 10 分钟内有效。如果没有收到，请查看垃圾邮件文件夹。",
  "code.again_sent": "新的验证码已发出，之前的验证码已失效。",

  "field.login.missing": "请输入用户名或邮箱地址。",
  "field.password.missing": "请输入密码。",
  "here.auth.user_suspended": "您输入的内容正确，但此账号已被停用，原因请咨询服务器管理员。",
};
