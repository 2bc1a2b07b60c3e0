/* Keys on the page, for boards that have none. They write into what they are given and never take the focus from it. */
(function () {
  'use strict';
  var BBT = window.BBT;
  var h = BBT.h, t = BBT.t;
  var ROWS = ['1234567890', 'qwertyuiop', 'asdfghjkl', 'zxcvbnm'];
  /* Held down, delete goes on. */
  var HOLD_MS = 450, AGAIN_MS = 90;

  function stay(event) { event.preventDefault(); }

  function key(text, options, press) {
    var children = options.icon ? [BBT.icon(options.icon)] : [h('span', { text: text })];
    return h('button', {
      type: 'button', 'class': 'tap' + (options['class'] ? ' ' + options['class'] : ''), tabindex: options.tab ? null : '-1',
      'aria-label': options.label || text, 'data-key': options.key || text, onclick: press, onpointerdown: stay, onmousedown: stay
    }, children);
  }

  function holding(button, press) {
    var timer = null;
    function end() { window.clearTimeout(timer); timer = null; }
    function again() { press(); timer = window.setTimeout(again, AGAIN_MS); }
    button.addEventListener('pointerdown', function () { timer = window.setTimeout(again, HOLD_MS); });
    ['pointerup', 'pointerleave', 'pointercancel'].forEach(function (name) { button.addEventListener(name, end); });
    return button;
  }

  /* keyboard({onkey(character), ondelete(), onclear()}): letters, digits, space, delete, clear. */
  BBT.keyboard = function (options) {
    var rows = ROWS.map(function (row) {
      return h('div', { 'class': 'tap-row' }, row.split('').map(function (letter) {
        return key(letter, {}, function () { options.onkey(letter); });
      }));
    });
    rows[3].appendChild(holding(key('', { icon: 'erase', label: t('key.delete'), key: 'delete', 'class': 'tap-wide' }, options.ondelete), options.ondelete));
    rows.push(h('div', { 'class': 'tap-row' }, [
      key(t('key.clear'), { key: 'clear', 'class': 'tap-wide tap-words' }, options.onclear),
      key(t('key.space'), { key: 'space', 'class': 'tap-space tap-words' }, function () { options.onkey(' '); })
    ]));
    return h('div', { 'class': 'keyboard' }, rows);
  };

  /* pinPad({title, text, onsubmit(pin, done), cancel?}): digits, shown as dots; done(words|null) after the answer: words say
     what is wrong. Gives {el, key(event), say(words)}. */
  BBT.pinPad = function (options) {
    var typed = '', busy = false, MOST = 12, LEAST = 4;
    var dots = h('div', { 'class': 'pin-dots', role: 'img', 'aria-label': t('pin.digits') });
    var said = h('p', { 'class': 'pin-said', role: 'alert' });
    var submit = BBT.button({ icon: 'check', text: t('pin.ok'), 'class': 'button-primary button-large', onclick: send });
    var keys = '123456789'.split('').map(function (digit) { return key(digit, { tab: true }, function () { add(digit); }); });
    function draw() {
      var i;
      BBT.empty(dots);
      for (i = 0; i < Math.max(6, typed.length); i += 1) { dots.appendChild(h('span', { 'class': i < typed.length ? 'pin-dot pin-full' : 'pin-dot' })); }
      submit.disabled = busy || typed.length < LEAST;
    }
    function add(digit) {
      if (busy || typed.length >= MOST) { return; }
      typed += digit;
      said.textContent = '';
      draw();
    }
    function erase() {
      typed = typed.slice(0, -1);
      draw();
    }
    function send() {
      if (busy || typed.length < LEAST) { return; }
      busy = true;
      draw();
      options.onsubmit(typed, function (words) {
        busy = false;
        typed = '';
        said.textContent = words || '';
        draw();
      });
    }
    keys.push(options.cancel ? key(t('pin.cancel'), { 'class': 'tap-words', key: 'cancel', tab: true }, options.cancel) : h('span', {}));
    keys.push(key('0', { tab: true }, function () { add('0'); }));
    keys.push(key('', { icon: 'erase', label: t('key.delete'), key: 'delete', tab: true }, erase));
    draw();
    return {
      el: h('div', { 'class': 'pin' }, [
        options.title ? h('h2', { text: options.title }) : null, options.text ? h('p', { 'class': 'pin-text', text: options.text }) : null,
        dots, said, h('div', { 'class': 'pin-keys' }, keys), submit
      ]),
      say: function (words) { said.textContent = words || ''; },
      key: function (event) {
        if (/^[0-9]$/.test(event.key)) { add(event.key); return true; }
        if (event.key === 'Backspace') { erase(); return true; }
        if (event.key === 'Enter' && event.target.tagName !== 'BUTTON') { send(); return true; }
        return false;
      }
    };
  };
}());
