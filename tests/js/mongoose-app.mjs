// The Node.js application of before: its models, as Mongoose tutorials write them, and what it does with them.
//
//   node mongoose-app.mjs <command>    DATABASE_URL, CBC_KEY, GCM_KEY, PASSPHRASE; JSON comes in and goes out
import assert from 'node:assert/strict';
import { createCipheriv, randomBytes } from 'node:crypto';
import { text as readAll } from 'node:stream/consumers';
import bcrypt from 'bcryptjs';
import CryptoJS from 'crypto-js';
import mongoose, { Schema, Types } from 'mongoose';

const userSchema = new Schema({
  email: { type: String, required: true, unique: true },
  fullName: { type: String, required: true },
  password: { type: String, required: true, minlength: 6 },
  profilePic: { type: String, default: '' },
  lastSeen: { type: Date, default: Date.now },
  isOnline: { type: Boolean, default: false },
}, { timestamps: true });

const messageSchema = new Schema({
  senderId: { type: Schema.Types.ObjectId, ref: 'User', required: true },
  receiverId: { type: Schema.Types.ObjectId, ref: 'User', required: true },
  encryptedText: { type: String },
  image: { type: String },
  isDeleted: { type: Boolean, default: false },
  chatId: { type: String },
}, { timestamps: true });

const User = mongoose.model('User', userSchema);
const Message = mongoose.model('Message', messageSchema);

// --- The three forms in which such applications encrypt ---

const key = (name) => Buffer.from(process.env[name], 'hex');

const encrypt = {
  cbc(text) {
    const iv = randomBytes(16);
    const cipher = createCipheriv('aes-256-cbc', key('CBC_KEY'), iv);
    return [iv, Buffer.concat([cipher.update(text, 'utf8'), cipher.final()])].map((part) => part.toString('hex')).join(':');
  },
  gcm(text) {
    const iv = randomBytes(12);
    const cipher = createCipheriv('aes-256-gcm', key('GCM_KEY'), iv);
    const sealed = Buffer.concat([cipher.update(text, 'utf8'), cipher.final()]);
    return [iv, cipher.getAuthTag(), sealed].map((part) => part.toString('hex')).join(':');
  },
  cryptoJs: (text) => CryptoJS.AES.encrypt(text, process.env.PASSPHRASE).toString(),
  /** Under a key that is lost. */
  lost(text) {
    const cipher = createCipheriv('aes-256-gcm', randomBytes(32), Buffer.alloc(12));
    const sealed = Buffer.concat([cipher.update(text, 'utf8'), cipher.final()]);
    return [Buffer.alloc(12), cipher.getAuthTag(), sealed].map((part) => part.toString('hex')).join(':');
  },
};

/** `prefix`: bcrypt's `$2a$` or `$2b$`. */
const hash = (password, prefix = '$2b$') => bcrypt.hash(password, bcrypt.genSaltSync(10).replace(/^\$2.\$/, prefix));

const chatOf = (message) => [message.from, message.to].sort().join('_');

const messageOf = ({ from, to, text, form = 'cbc', at, ...fields }) => ({
  senderId: new Types.ObjectId(from),
  receiverId: new Types.ObjectId(to),
  ...(text !== undefined && { encryptedText: encrypt[form](text) }),
  chatId: chatOf({ from, to }),
  ...(at && { createdAt: new Date(at) }),
  ...fields,
});

const commands = {
  /** Users by their sign-up form; `without` names fields that an older version of the application did not write. */
  async users(forms) {
    const ids = [];
    for (const { password, prefix, without = [], ...form } of forms) {
      const user = await User.create({ ...form, password: await hash(password, prefix) });
      if (without.length > 0) {
        await User.collection.updateOne({ _id: user._id }, { $unset: Object.fromEntries(without.map((name) => [name, ''])) });
      }
      ids.push(user._id);
    }
    return ids;
  },

  /** The same without the unique index that Mongoose makes. */
  async usersWithoutIndex(forms) {
    await User.collection.dropIndex('email_1');
    return commands.users(forms);
  },

  /** Messages, written in this order: `createdAt` is theirs. */
  async messages(messages) {
    const written = await Message.insertMany(messages.map(messageOf));
    return written.map((message) => message._id);
  },

  /** As the application deletes: the text stays. */
  async delete({ id }) {
    return Message.findByIdAndUpdate(id, { isDeleted: true }, { returnDocument: 'after' }).orFail();
  },

  /** All messages of two people as its models see them, and how the fields are stored. */
  async conversation({ a, b }) {
    const between = { $or: [{ senderId: a, receiverId: b }, { senderId: b, receiverId: a }] };
    const messages = await Message.find(between).sort({ createdAt: 1, _id: 1 });
    for (const message of messages) await message.validate();
    const stored = await Message.collection.find({ _id: { $in: messages.map((message) => message._id) } }).toArray();
    const types = new Map(stored.map((document) => [String(document._id), kinds(document)]));
    return messages.map((message) => ({ ...message.toObject(), types: types.get(String(message._id)) }));
  },

  /** A user by e-mail, and whether they could log in to the application with this password. */
  async login({ email, password }) {
    const user = await User.findOne({ email }).orFail();
    await user.validate();
    const stored = await User.collection.findOne({ _id: user._id });
    return { user, types: kinds(stored), isLoggedIn: await bcrypt.compare(password, user.password) };
  },
};

/** The type of each field, as the driver gives it. */
function kinds(document) {
  const kind = (value) => (value === null ? 'null' : value?.constructor?.name ?? typeof value);
  return Object.fromEntries(Object.entries(document).map(([name, value]) => [name, kind(value)]));
}

const command = commands[process.argv[2]];
assert.ok(command, `no such command: ${process.argv[2]}`);
const input = JSON.parse(await readAll(process.stdin));
await mongoose.connect(process.env.DATABASE_URL);
// The indexes, as an application makes them at its start.
await Promise.all([User.init(), Message.init()]);
console.log(JSON.stringify(await command(input)));
await mongoose.disconnect();
